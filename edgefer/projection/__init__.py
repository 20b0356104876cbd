"""What can be known of a device that is not here: accuracy of its graphs, and a time from data sheets."""
