"""`python -m gossipfl`: the command, by this interpreter."""

import sys

from gossipfl.cli.app import main

sys.exit(main())
