"""The door: who is let in, and how often.

A request meets here the names by which the service may be called, the origins whose pages may call
it, the verification of its credentials, the count of what its caller has asked before, and the
permission of the verb. `resource.py` leads it through all of them and then on: to the reading of
its query and body, to the answer that an idempotency key may have already, and to the verb.
"""
