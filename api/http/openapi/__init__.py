"""OpenAPI 3.1, made of the Swagger 2.0 document that Flask-RESTX makes of the verbs, and the serving of both.

`convert` puts the parts together: `operations` turns verbs, parameters and answers, `schemas` the schemas,
`enums` names the words that a value may be one of, `refusals` says once what many answer, `security` says
who is let in, and `published` serves.
"""
