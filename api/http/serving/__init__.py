"""The process around the application: its sockets, and what is counted and logged of every request.

A request arrives here byte by byte. Waitress reads it, with suspicion, and refuses in our envelope
what no application should see; a thread takes it through the application; its last byte is sent from
here, also while the process leaves. On its way through the application it is timed, logged and
counted for `/metrics`, and a long poll waits here without taking all threads.
"""
