# GPL-3.0-or-later
"""Data that comes back: jobs, snapshots, their verification by a restore, and restores into place."""
