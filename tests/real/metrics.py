"""What `/metrics` says is OpenMetrics in the eyes of the parser of Prometheus's own Python client,
and it adds up."""

import urllib.error
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from herald import Far, Herald, check, failed_attach, main, until


def scrape(herald):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(herald.url + "/metrics", timeout=10) as answer:
        kind = answer.headers["content-type"]
        text = answer.read().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return kind, families


def value(families, family, sample=None, **labels):
    found = [
        one.value
        for one in families[family].samples
        if one.name == (sample or family) and one.labels == labels
    ]
    return found[0] if found else None


def states(families):
    return {one.labels["state"]: one.value for one in families["herald_deliveries"].samples}


def body():
    answers = [(503, b"later"), (200, b"thanks")]
    with Far(lambda _: answers.pop(0) if len(answers) > 1 else answers[0]) as far:
        sinks = f"""
[sink.runbook]
kind = "callback"
url = "http://{far.address}/eni"
allow_addresses = ["127.0.0.0/8"]
limit = {{ messages = 60, per = "60s" }}
[sink.runbook.retry]
first = "100ms"
"""
        with Herald(sinks) as herald:
            kind, families = scrape(herald)
            check(kind.startswith("application/openmetrics-text"), "the content type is OpenMetrics'")
            check(len(families) > 15, f"the parser reads all {len(families)} families of an idle router")

            event = herald.send(failed_attach(1))
            herald.delivery_when(event, "runbook", "success", lambda one: one["state"] == "delivered")
            headers = {"content-type": "application/json"}
            refused = urllib.request.Request(herald.url + "/v1/events", b"{half", headers)
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                opener.open(refused)
            except urllib.error.HTTPError:
                pass
            herald.ask("/v1/sinks/runbook/pause", {"why": "for the metrics"})
            herald.send(failed_attach(2))

            def pending():
                _, families = scrape(herald)
                return families if value(families, "herald_sink_pending", sink="runbook") == 1 else None

            families = until("delivery that waits", pending)
            planned = value(families, "herald_deliveries_planned")
            check(planned == 2 == sum(states(families).values()), "planned is the sum of the states")
            check(states(families)["delivered"] == 1, "one was delivered")
            ended = {
                one.labels["outcome"]: one.value
                for one in families["herald_attempts"].samples
                if one.name == "herald_attempts_total"
            }
            check(ended == {"transient": 1, "delivered": 1}, "after one attempt that was not")
            held = value(families, "herald_sink_state", sink="runbook", state="held")
            check(held == 1, "the paused sink is held")
            total = value(families, "herald_refused", "herald_refused_total", source="api", **{"class": "unreadable"})
            check(total == 1, "half a document counts as unreadable")
            used = [one.value for one in families["herald_endpoint_permits_used"].samples]
            limit = [one.value for one in families["herald_endpoint_permits_limit"].samples]
            check(used == [2] and limit == [60], "two of sixty permits are used")
            count = value(families, "herald_record_seconds", "herald_record_seconds_count")
            check(count == 3, "three bodies were answered, and how long that took is a histogram")
            size = value(families, "herald_journal_used_bytes")
            most = value(families, "herald_journal_max_bytes")
            check(0 < size < most, "the journal takes some of its room")
            check(value(families, "herald_journal_near") == 0, "and is far from its end")


main(body)
