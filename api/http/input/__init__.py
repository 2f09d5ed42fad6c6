"""Input of a request, read strictly: nothing unknown, nothing twice, nothing that is not UTF-8.

Here stand the types of fields and parameters, which the OpenAPI document shows and requests are
checked against, and the readers of queries, JSON bodies and forms. A fault is named by its field,
with the nearest valid name, before any verb runs.
"""
