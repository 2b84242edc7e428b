# GPL-3.0-or-later
"""The agent: makes what runs on this host equal to the releases under /srv/stacks, and tells what it did."""

__version__ = "0.1.0"
