"""HTTP plumbing that every resource shares: one small file for each concern."""
