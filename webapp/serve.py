"""Start the web server and the consumer, as the Procfile says, and stop both in peace.

    python -m webapp.serve

Ends when one of them does, with its exit code. A wrong setting ends it at once, with a sentence.
"""

import os

from honcho import command, manager

from webapp.config import load

# Seconds, of which honcho would give 5, for which it has no option. gunicorn gives an upload 30 to
# end, and the consumer 20 to an image.
STOP_SECONDS = 40


def main() -> None:
    """Run both until SIGTERM or Ctrl-C, and then as long as what they have in hand."""
    manager.KILL_WAIT = STOP_SECONDS
    # Left alone, honcho makes it 5000, and lets .env win over the environment.
    os.environ["PORT"] = str(load().port)
    command.main(["start", "--env", os.devnull, "--no-prefix"])  # Our lines say whose they are.


if __name__ == "__main__":
    main()
