"""What a query yields, as far as its text tells: does its SELECT list have the columns that a definition names?

Nobody is asked: there is no schema, so what `SELECT *` takes from a table is unknown, and is said to be. A name is read
by its dialect's rules: snowflake gives `user_id` back as USER_ID, postgres "UserID" as it stands, and for bigquery case
is no difference. The parser is sqlglot, which only the extra `sql` brings: so `check` is imported when there is a query
to check.
"""
