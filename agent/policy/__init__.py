"""The only room that reads policies/."""
