import grpc
from google.protobuf import field_mask_pb2, json_format, struct_pb2

from harness import assert_invalid, failure_of
from holdfast.v1 import user_cache_service_pb2 as pb


def user_of(id="u1", attributes=None, **fields):
    user = pb.User(id=id, **fields)
    if attributes is not None:
        user.attributes.update(attributes)
    return user


def update(api, ref, user, mask=None, allow_missing=False, remove=()):
    request = pb.UpdateUserRequest(object=ref, user=user, allow_missing=allow_missing, remove_attributes=remove)
    if mask is not None:
        request.update_mask.CopyFrom(field_mask_pb2.FieldMask(paths=mask))
    return api.users.UpdateUser(request).user


def create(api, ref, id="u1", **fields):
    return update(api, ref, user_of(id, **fields), allow_missing=True)


def get(api, ref, id="u1"):
    return api.users.GetUser(pb.GetUserRequest(object=ref, id=id)).user


def attributes(user):
    return json_format.MessageToDict(user.attributes)


def assert_not_found(failure):
    assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


def assert_etag_mismatch(failure):
    assert (failure.code, failure.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")


def test_create_and_get(api, ref):
    assert_not_found(failure_of(lambda: get(api, ref)))
    assert_not_found(failure_of(lambda: update(api, ref, user_of(name="Ada"))))
    created = create(api, ref, name="Ada", email="ada@example.com", attributes={"plan": "pro"})
    assert (created.id, created.name, created.email) == ("u1", "Ada", "ada@example.com")
    assert attributes(created) == {"plan": "pro"}
    assert created.etag
    assert created.HasField("create_time") and created.create_time == created.update_time
    assert get(api, ref) == created


def test_a_partial_update_leaves_the_other_fields(api, ref):
    before = create(api, ref, name="Ada", email="ada@example.com", attributes={"plan": "pro", "seats": 3})
    after = update(api, ref, user_of(email="countess@example.com"))
    assert (after.name, after.email) == ("Ada", "countess@example.com")
    assert attributes(after) == {"plan": "pro", "seats": 3}
    assert after.etag != before.etag
    assert after.create_time == before.create_time
    assert after.update_time.ToNanoseconds() > before.update_time.ToNanoseconds()
    assert get(api, ref) == after


def test_attributes_merge_key_by_key(api, ref):
    create(api, ref, attributes={"plan": "pro", "address": {"city": "London", "street": "x"}, "old": True})
    merged = update(api, ref, user_of(attributes={"address": {"city": "Turin"}, "tags": ["a", None, 1.5]}))
    assert attributes(merged) == {
        "plan": "pro",
        "address": {"city": "Turin"},
        "old": True,
        "tags": ["a", None, 1.5],
    }
    less = update(api, ref, user_of(), remove=["old", "never there"])
    assert attributes(less) == {"plan": "pro", "address": {"city": "Turin"}, "tags": ["a", None, 1.5]}


def test_a_mask_replaces_also_by_nothing(api, ref):
    create(api, ref, name="Ada", email="ada@example.com", attributes={"plan": "pro"})
    changed = update(api, ref, user_of(name="ignored", attributes={"only": 1}), mask=["email", "attributes"])
    assert (changed.name, changed.email) == ("Ada", "")
    assert attributes(changed) == {"only": 1}
    unknown = failure_of(lambda: update(api, ref, user_of(), mask=["etag"]))
    assert unknown.reason == "INVALID_FIELD"
    assert len(unknown.fields) == 1 and unknown.fields[0].startswith("update_mask")


def test_an_etag_holds_back_a_lost_update(api, ref):
    first = create(api, ref, name="Ada")
    second = update(api, ref, user_of(name="Ada L.", etag=first.etag))
    assert second.name == "Ada L."
    assert_etag_mismatch(failure_of(lambda: update(api, ref, user_of(name="late", etag=first.etag))))
    delete = lambda etag: api.users.DeleteUser(pb.DeleteUserRequest(object=ref, id="u1", etag=etag))
    assert_etag_mismatch(failure_of(lambda: delete(first.etag)))
    assert get(api, ref) == second
    delete(second.etag)
    assert_not_found(failure_of(lambda: get(api, ref)))


def test_list_pages_in_byte_order(api, ref):
    ids = ["B", "a", "ab", "b", "é", "z"]
    for id in reversed(ids):
        create(api, ref, id)
    page = lambda **fields: api.users.ListUsers(pb.ListUsersRequest(object=ref, **fields))
    assert [user.id for user in page().users] == sorted(ids, key=str.encode)
    found, token, pages = [], "", 0
    while pages == 0 or token:
        reply = page(page_size=4, page_token=token)
        assert len(reply.users) <= 4
        found += [user.id for user in reply.users]
        token = reply.next_page_token
        pages += 1
    assert found == sorted(ids, key=str.encode)
    assert_invalid(failure_of(lambda: page(page_size=-1)), "page_size")
    assert_invalid(failure_of(lambda: page(page_token="garbled")), "page_token")


def test_every_kind_of_attribute_comes_back(api, ref):
    values = {"null": None, "number": -1.25, "text": "ünï", "flag": False, "list": [1, [2]], "struct": {"": {}}}
    expected = struct_pb2.Struct()
    expected.update(values)
    assert create(api, ref, attributes=values).attributes == expected
    assert get(api, ref).attributes == expected
