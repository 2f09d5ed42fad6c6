"""The commands that need neither HTTP nor queues; `manage.py` loads each when it is called."""
