"""Ansible inventory to hosts and patterns."""
