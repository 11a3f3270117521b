//! Fan-out does not fill the queue faster than it is worked off.

use fanfare_core::ports::delivery_queue::DeliveryQueue as _;
use fanfare_core::ports::event_log::EventLog as _;
use fanfare_fanout::FanoutConfig;

use super::rig::Rig;

#[tokio::test]
async fn fan_out_pauses_while_too_many_are_ready_and_goes_on_when_there_is_room() {
    let rig = Rig::new().await;
    rig.webhook().await;
    rig.start(FanoutConfig { batch_events: 1, max_ready: 5, ..FanoutConfig::default() });
    rig.publish_many(20).await;
    for round in 1..=4 {
        rig.until("five to be ready", async || rig.engine.depth().await.unwrap().ready == 5).await;
        // What has been pushed is done with, and the rest waits in the log.
        rig.until("the position to be advanced", async || rig.engine.backlog().await.unwrap() == 20 - 5 * round).await;
        assert_eq!(rig.engine.depth().await.unwrap().ready, 5, "round {round}");
        for lease in rig.lease(5).await {
            rig.deliver(&lease).await;
        }
    }
    assert_eq!(rig.engine.depth().await.unwrap().ready, 0);
}
