"""`Expect: 100-continue`: whoever would be refused hears so before they send a body (RFC 9110, section 10.1.1).

The server asks the application first, with everything of the request but its body.
"""

from flask import Response, current_app, g, request

# In the environment of a request that is only asked about.
ASKED = "tasklane.asked_before_the_body"
GO_ON = 100


def is_asked() -> bool:
    """Return whether the body of the current request has not been asked for yet."""
    return ASKED in request.environ


def go_on() -> Response:
    """Return the answer on which the server asks for the body. The request is counted when it comes with it."""
    g.is_counted = True
    response: Response = current_app.response_class(status=GO_ON)
    return response
