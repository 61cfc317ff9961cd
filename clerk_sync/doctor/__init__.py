"""Finds what is wrong between this site and Clerk, and says what to do about it: `manage.py clerk_doctor`.

Each module examines one thing and yields findings. Nothing here changes anything, here or at Clerk.
"""
