# GPL-3.0-or-later
"""`python3 -m drover`."""

import sys

from drover.cli import main

sys.exit(main(sys.argv[1:]))
