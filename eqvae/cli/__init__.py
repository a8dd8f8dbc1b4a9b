"""What the commands share, and the commands themselves."""

from eqvae.threads import sleep_while_waiting

sleep_while_waiting()  # here, because every command comes by before it imports torch
