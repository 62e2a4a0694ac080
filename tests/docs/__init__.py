"""README, docs/, examples/ and the site are true."""
