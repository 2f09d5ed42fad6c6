"""The first lines with bravado, which needs no generated code: python quick_start.py URL USERNAME PASSWORD"""

import sys

from bravado.client import SwaggerClient

url, username, password = sys.argv[1:]

api = SwaggerClient.from_url(f"{url}/swagger.json")
tokens = api.auth.log_in(payload={"username": username, "password": password}).result()
headers = {"_request_options": {"headers": {"Authorization": f"Bearer {tokens.access_token}"}}}
task = api.tasks.create_task(payload={"title": "Renew the certificate"}, **headers).result().data
job = api.tasks.process_task(task_id=task.id, **headers).result().data
api.jobs.get_job(job_id=job.job_id, wait=20, **headers).result()
done = api.tasks.get_task(task_id=task.id, **headers).result().data
print(done.status, done.title)
