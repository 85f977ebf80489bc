from alibabacloud_credentials.client import Client

credential = Client().get_credential()
print(credential.access_key_id)
