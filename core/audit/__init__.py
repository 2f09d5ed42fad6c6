"""Events of accounts: logins, refusals, keys, roles. Written with the change, read by administrators."""
