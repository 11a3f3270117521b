//! API keys, looked up by their text.

use fanfare_core::ids::ApiKeyId;
use fanfare_core::ports::config_store::Key;
use ulid::Ulid;

use super::records::api_key;
use super::store::Rig;

#[tokio::test]
async fn a_key_is_known_by_its_text_until_it_is_replaced_or_removed() {
    let (rig, told) = Rig::start();
    let id = |number| ApiKeyId(Ulid(number));
    told.tell_records(vec![(1, api_key(1, "first")), (2, api_key(2, "second"))], 2);
    rig.told_up_to(2).await;
    assert_eq!(rig.registry.api_key("first").unwrap().id, id(1));
    assert_eq!(rig.registry.api_key("second").unwrap().id, id(2));
    for unknown in ["", "third", "First", "first "] {
        assert!(rig.registry.api_key(unknown).is_none(), "{unknown:?}");
    }

    told.tell_records(vec![(3, api_key(1, "replaced"))], 3);
    told.tell(vec![(4, Key::ApiKey(id(2)), None)], 4);
    rig.told_up_to(4).await;
    assert_eq!(rig.registry.api_key("replaced").unwrap().id, id(1));
    assert!(rig.registry.api_key("first").is_none());
    assert!(rig.registry.api_key("second").is_none());
}

#[tokio::test]
async fn of_two_keys_with_one_text_the_other_stays_when_one_is_removed() {
    let (rig, told) = Rig::start();
    told.tell_records(vec![(1, api_key(1, "same")), (2, api_key(2, "same"))], 2);
    told.tell(vec![(3, Key::ApiKey(ApiKeyId(Ulid(1))), None)], 3);
    rig.told_up_to(3).await;
    assert_eq!(rig.registry.api_key("same").unwrap().id, ApiKeyId(Ulid(2)));
}
