"""Drawing reports with matplotlib, which takes most of a second and 50 MB to import.

So only `workers.jobs.reports` loads this package, in the process of the job.
"""
