"""Process many pictures into Parquet: folders, archives, videos and object stores, in one process or on Ray.

Pictures are listed first and divided into shards. A worker writes each shard to files that are renamed when complete.
The name identifies the content, so a restart processes only shards without a file.
"""
