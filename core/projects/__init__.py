"""Projects: a team's tasks, and who of the team may do what with them."""
