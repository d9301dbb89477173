//! Where the `type` of a problem leads.

use serde_json::json;

use crate::world::World;
use wharfinger::http::ErrorCode;

#[tokio::test]
async fn the_type_of_a_problem_leads_to_its_page() {
    let world = World::start().await;
    let problem = world.get("alice", "/v1/nothing").await.json();
    let page = world.get("", problem["type"].as_str().unwrap()).await;
    assert_eq!(page.told(), "200", "{problem}");
    let page = page.json();
    assert_eq!((&page["code"], &page["type"]), (&json!("route_not_found"), &problem["type"]));
    assert_eq!((&page["title"], &page["hint"]), (&problem["title"], &problem["hint"]));
    // A refusal of the port for operators leads to a page there.
    let problem = world.ask(world.admin, "GET /v1/nothing").await.json();
    let page = world.ask(world.admin, &format!("GET {}", problem["type"].as_str().unwrap())).await;
    assert_eq!(page.told(), "200");
}

#[tokio::test]
async fn every_code_has_a_page_for_programs_and_for_people() {
    let world = World::start().await;
    let listed = world.get("", "/errors").await.json();
    let listed: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|item| item["code"].as_str().unwrap()).collect();
    let all: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(listed, all);
    for code in ErrorCode::ALL {
        let page = world.get("", &code.page()).await.json();
        assert_eq!(page["code"], code.as_str());
        assert_eq!(page["status"], code.status().as_u16());
        assert!(!page["hint"].as_str().unwrap().is_empty());
    }
    let browser = [("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")];
    for path in ["/errors", "/errors/token-missing"] {
        let page = world.send("", &format!("GET {path}"), &browser, "").await;
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
        assert!(
            page.text().contains("A token is needed") && !page.text().contains("<token>"),
            "{}",
            page.text()
        );
    }
    assert_eq!(world.get("", "/errors/nothing").await.told(), "404 route_not_found");
}

#[tokio::test]
async fn a_problem_names_the_public_place_of_its_page() {
    let world = World::configured(|config| config.http.public_url = "https://files.example".to_owned()).await;
    let problem = world.get("", "/v1/usage").await.json();
    assert_eq!(problem["type"], "https://files.example/errors/token-missing");
}
