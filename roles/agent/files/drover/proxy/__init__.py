# GPL-3.0-or-later
"""One module for each proxy, with these names:

SUFFIX of its route files; `render(manifest, servers) -> str`, empty for a stack without routes;
`validate(text)`, which raises ValueError for anything that the proxy might stumble over; and
`places(text)`, the pairs of host and path that such a file leads somewhere.
"""
