"""Many pictures into Parquet: folders, archives, videos and object stores, in one process or on Ray.

Pictures are listed first and divided into shards. A worker writes each shard as files that get their names when they
are whole; the name says what is in it, so a restart does what has no file yet.
"""
