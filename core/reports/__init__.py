"""Reports: the numbers of a range of days, ready to be drawn."""
