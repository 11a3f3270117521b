"""Goes through everything that the PyPI client `kapso-whatsapp-cloud-api` does with webhooks and their deliveries.

Reads {"what", "base_url", "api_key", "receiver", "number"} and prints what it saw, for the test to look at.
"""

import asyncio
import json
import sys

from kapso_whatsapp.exceptions import WhatsAppAPIError
from kapso_whatsapp.platform import KapsoPlatformClient

run = json.load(sys.stdin)
NUMBER = run["number"]
MANY = 250


async def refused(call):
    """The status and code of a call that must be refused."""
    try:
        await call
    except WhatsAppAPIError as error:
        return [error.status_code, error.response["error"]["code"]]
    raise AssertionError("it was not refused")


async def ids(webhooks):
    return [webhook.id async for webhook in webhooks]


async def project_scope(client, seen):
    hooks = client.project_webhooks
    created = await hooks.create(url=run["receiver"], events=["whatsapp.phone_number.created"], secret_key="a secret of its own")
    assert created.secret_key == "a secret of its own" and created.phone_number_id is None, created
    assert (created.kind, created.active, created.headers, created.buffer_events) == ("kapso", True, {}, []), created
    read = await hooks.get(created.id)
    assert (read.id, read.secret_key, read.payload_version) == (created.id, None, "v2"), read
    updated = await hooks.update(
        created.id, events=["whatsapp.phone_number.created", "project.event"], headers={"X-Tenant": "blue"}, payload_version="v1"
    )
    assert updated.payload_version == "v1" and updated.headers == {"X-Tenant": "***"}, updated
    assert (await hooks.test(created.id)).success
    assert (await hooks.test(created.id, event_type="project.event")).success
    seen["not subscribed"] = await refused(hooks.test(created.id, event_type="whatsapp.message.read"))
    seen["messages without a number"] = await refused(hooks.create(url=run["receiver"], events=["whatsapp.message.received"]))
    seen["buffered"] = await refused(hooks.create(url=run["receiver"], events=["project.event"], buffer_enabled=True))
    of_number = await hooks.create(url=run["receiver"], events=["whatsapp.message.received"], phone_number_id=NUMBER)
    assert of_number.phone_number_id == NUMBER
    assert (await client.webhooks.get(NUMBER, of_number.id)).id == of_number.id
    assert {created.id, of_number.id} <= {hook.id for hook in await hooks.list(kind="kapso", per_page=100)}
    await hooks.delete(of_number.id)
    await hooks.update(created.id, active=False)
    assert not (await hooks.get(created.id)).active
    await hooks.delete(created.id)
    seen["deleted"] = await refused(hooks.get(created.id))


async def number_scope(client, seen):
    hooks = client.webhooks
    made = []
    for index in range(MANY):
        hook = await hooks.create(
            NUMBER, url=f"{run['receiver']}many?n={index}", events=["whatsapp.contact.identity_changed"], active=index % 5 != 0
        )
        made.append(hook.id)
    assert await ids(hooks.iter(NUMBER)) == made
    assert await ids(hooks.iter(NUMBER, per_page=100)) == made
    assert await ids(client.project_webhooks.iter(per_page=100)) == made
    assert await ids(hooks.iter(NUMBER, active=False, per_page=7)) == made[::5]
    assert await ids(hooks.iter(NUMBER, url_contains="n=24", per_page=4)) == [made[24], *made[240:250]]
    assert [hook.id for hook in await hooks.list(NUMBER, page=13)] == made[240:]
    assert await hooks.list(NUMBER, page=14) == []
    assert await ids(hooks.iter(NUMBER, kind="meta")) == []
    assert await ids(hooks.iter("other")) == []
    first = await hooks.get(NUMBER, made[0])
    assert await ids(hooks.iter(NUMBER, created_before="2020-01-01")) == []
    assert len(await ids(hooks.iter(NUMBER, created_after=first.created_at, per_page=100))) == MANY
    updated = await hooks.update(NUMBER, made[0], active=True, inactivity_minutes=30, url=run["receiver"])
    assert (updated.active, updated.inactivity_minutes, updated.url) == (True, 30, run["receiver"]), updated
    seen["another number"] = await refused(hooks.get("other", made[0]))
    for webhook_id in made:
        await hooks.delete(NUMBER, webhook_id)
    assert await hooks.list(NUMBER) == []


async def deliveries(client, seen):
    log = client.webhook_deliveries
    every = [row async for row in log.iter(per_page=7)]
    assert [row.id for row in every] == [row.id async for row in log.iter(per_page=100, period="30d")]
    assert len({row.id for row in every}) == len(every)
    assert [row.created_at for row in every] == sorted((row.created_at for row in every), reverse=True)
    for status in ("pending", "delivered", "failed"):
        expected = [row.id for row in every if row.status == status]
        assert [row.id async for row in log.iter(status=status, per_page=2, period="7d")] == expected, status
        seen[status] = len(expected)
    failed = [row.id for row in every if row.status == "failed" or row.response_status == 503]
    assert [row.id async for row in log.iter(errors_only=True)] == failed
    for webhook_id in {row.webhook_id for row in every}:
        expected = [row.id for row in every if row.webhook_id == webhook_id]
        assert [row.id async for row in log.iter(webhook_id=webhook_id, per_page=3)] == expected
    for event in {row.event for row in every}:
        expected = [row.id for row in every if row.event == event]
        assert [row.id for row in await log.list(event=event, per_page=100)] == expected
    message = next(row for row in every if row.event == "whatsapp.message.received")
    seen["conversation"] = message.conversation_phone_number
    seen["number"] = message.phone_number_id
    assert all(row.webhook_url and row.attempt_count >= 1 and row.last_attempt_at for row in every), every
    seen["wrong period"] = await refused(log.list(period="1y"))


async def main():
    seen = {}
    async with KapsoPlatformClient(api_key=run["api_key"], base_url=run["base_url"], max_retries=0) as client:
        if run["what"] == "webhooks":
            await project_scope(client, seen)
            await number_scope(client, seen)
        else:
            await deliveries(client, seen)
    async with KapsoPlatformClient(api_key="nobody's", base_url=run["base_url"], max_retries=0) as stranger:
        seen["stranger"] = await refused(stranger.project_webhooks.list())
    print(json.dumps(seen))


asyncio.run(main())
