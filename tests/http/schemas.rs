//! The schemas of event data, as anybody reads them.

use serde_json::Value;

use crate::world::World;

#[tokio::test]
async fn every_listed_schema_is_served_under_the_name_that_events_give_it() {
    let world = World::start().await;
    let list = world.get("", "/v1/schemas").await;
    assert_eq!(list.told(), "200");
    let items = list.json()["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 12);
    for item in items {
        let answer = world.get("", item["href"].as_str().unwrap()).await;
        assert_eq!(answer.told(), "200");
        assert_eq!(answer.header("content-type"), Some("application/schema+json"));
        let document: Value = serde_json::from_str(answer.text()).unwrap();
        assert_eq!(document["$id"], item["dataschema"], "{item}");
    }
}

#[tokio::test]
async fn a_schema_that_does_not_exist_is_not_found() {
    let world = World::start().await;
    for path in
        ["/v1/schemas/files.eaten/1.0", "/v1/schemas/files.processed/9.0", "/v1/schemas/files.processed"]
    {
        assert_eq!(world.get("", path).await.told(), "404 route_not_found", "{path}");
    }
}
