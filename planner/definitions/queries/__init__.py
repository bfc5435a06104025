"""What a query returns, as far as its text says: does its SELECT list have the columns that a definition names?

The warehouse is not asked: there is no schema, so the columns of `SELECT *` from a table are unknown, and reported as
unknown. A name is read by its dialect's rules: snowflake gives `user_id` back as USER_ID, postgres "UserID" as it
stands, and for bigquery case is no difference. The parser is sqlglot, which only the extra `sql` brings: so `check` is
imported when there is a query to check.
"""
