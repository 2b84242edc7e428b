# GPL-3.0-or-later
"""One module for each proxy, with these names:

SUFFIX of its route files; `render(manifest, servers) -> str`, empty for a stack without routes; and
`validate(text)`, which raises ValueError for anything that the proxy might stumble over.
"""
