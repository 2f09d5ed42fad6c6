"""The first lines: python quick_start.py URL USERNAME PASSWORD"""

import sys

from helpers import client_of, every_page, got
from tasklane_client.api.tasks import create_task, list_tasks, update_task
from tasklane_client.models import TaskCreate, TaskResponse, TaskStatus, TaskUpdate

url, username, password = sys.argv[1:]

client = client_of(url, username, password)
task = got(TaskResponse, create_task.sync(client=client, body=TaskCreate(title="Renew the certificate"))).data
update_task.sync(task.id, client=client, body=TaskUpdate(status=TaskStatus.IN_PROGRESS))
for one in every_page(list_tasks.sync, client=client, status=[TaskStatus.PENDING, TaskStatus.IN_PROGRESS]):
    print(one.status, one.title)
