"""The slow work: one kind a file. A function takes its run and the payload of its job."""
