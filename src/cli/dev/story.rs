//! The story: a short scripted day, step by step.

use super::stage::Stage;
use super::{story_calls, story_contacts, story_texts, story_trouble};

/// Plays every step in order. Later steps build on earlier ones, so the first
/// that cannot be played ends the story.
pub(super) async fn play(stage: &mut Stage) {
    if let Err(error) = all(stage).await {
        stage.broke(&error);
    }
}

async fn all(stage: &mut Stage) -> anyhow::Result<()> {
    story_contacts::created(stage).await?;
    story_contacts::edited(stage).await?;
    let end_of_call = story_calls::told_in_five_deliveries(stage).await?;
    story_calls::of_a_stranger(stage).await?;
    story_contacts::tagged(stage).await?;
    story_texts::both_ways(stage).await?;
    story_texts::sent_by_an_operator(stage).await?;
    story_texts::stop(stage).await?;
    story_texts::refused(stage).await?;
    story_texts::start(stage).await?;
    story_calls::do_not_call(stage).await?;
    story_trouble::duplicate(stage, &end_of_call).await?;
    story_trouble::forged(stage).await?;
    story_trouble::unknown(stage).await?;
    story_trouble::outage(stage).await?;
    story_trouble::nothing_undocumented(stage);
    Ok(())
}
