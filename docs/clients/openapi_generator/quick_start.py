"""The first lines with the client of openapi-generator: python quick_start.py URL USERNAME PASSWORD"""

import sys

import tasklane_client as api

url, username, password = sys.argv[1:]

tokens = api.AuthApi(api.ApiClient(api.Configuration(url))).log_in(api.Login(username=username, password=password))
client = api.ApiClient(api.Configuration(url), "Authorization", f"Bearer {tokens.access_token}")
tasks = api.TasksApi(client)
task = tasks.create_task(api.TaskCreate(title="Renew the certificate")).data
tasks.update_task(task.id, api.TaskUpdate(status="in_progress"))
for one in tasks.list_tasks(status=["pending", "in_progress"]).data:
    print(one.status, one.title)
