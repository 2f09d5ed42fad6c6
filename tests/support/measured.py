"""Tests that coverage does not look at, because they go where others have been. Tracing would take as long again."""

REPEATS = (
    "api/test_all_faults.py",
    "api/test_canaries.py",
    "api/test_codes.py",
    "api/test_hostile.py",
    "api/test_leaks.py",
    "api/test_mass_assignment.py",
    "api/test_matrix.py",
    "api/test_matrix_of_keys.py",
    "api/test_refusals.py",
    "api/test_try_it_out.py",
    # Of texts in many scripts, and of what was done once by many.
    "core/test_replay.py",
    "core/test_search_scripts.py",
    # They read the code instead of running it, or ask processes of their own.
    "architecture/",
    "browser/",
    "deploy/",
    "faults/test_schemathesis.py",
)


def repeats(file: str) -> bool:
    """Return whether the tests in a file, which is named from the folder of all tests, are of that kind."""
    return file.startswith(REPEATS)
