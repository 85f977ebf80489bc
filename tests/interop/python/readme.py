from alibabacloud_credentials.client import Client

print(Client().get_credential().access_key_id)
