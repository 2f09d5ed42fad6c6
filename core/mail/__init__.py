"""E-mail: composing messages from templates and delivering them."""
