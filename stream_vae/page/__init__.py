"""What the live page shows of an instance, in bounded memory."""
