import com.aliyun.credentials.Client;

public class Example {
    public static void main(String[] arguments) throws Exception {
        Client client = new Client();
        System.out.println(client.getCredential().getAccessKeyId());
    }
}
