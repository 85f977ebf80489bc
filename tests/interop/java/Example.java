import com.aliyun.credentials.Client;

public class Example {
    public static void main(String[] arguments) throws Exception {
        System.out.println(new Client().getCredential().getAccessKeyId());
    }
}
