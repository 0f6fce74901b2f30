"""Is everything right? Facts are read at the edge; pure functions judge them, one finding for each check and place."""
