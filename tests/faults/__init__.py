"""Commands that break what runs and count what was lost: the long forms of what the suite tests briefly."""
