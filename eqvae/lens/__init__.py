"""A lens for any function: does it commute with a group, and which representation does it carry?"""
