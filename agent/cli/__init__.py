"""The front door for people: one file per noun, loaded when used."""
