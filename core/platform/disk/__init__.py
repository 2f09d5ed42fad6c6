"""Files and folders: private, temporary, watched."""
