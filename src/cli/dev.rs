//! `dev`: filled by the story.
