// Labels pictures with an exported network through OpenVINO: label edgefer-base.onnx face.pam
// A .pam file holds one picture or several, one after another. ImageMagick writes it:
// convert face.jpg -auto-orient face.pam
#include <algorithm>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <openvino/openvino.hpp>
#include <sstream>
#include <string>
#include <vector>

// The labels, which stand in the file's metadata as a JSON list: ["angry", "disgust", ...].
std::vector<std::string> labels(const ov::Model& model) {
    const auto& told = model.get_rt_info<std::string>("framework", "edgefer.labels");
    std::vector<std::string> found;
    for (size_t start = told.find('"'); start != std::string::npos; start = told.find('"', start)) {
        const size_t end = told.find('"', start + 1);
        found.push_back(told.substr(start + 1, end - start - 1));
        start = end + 1;
    }
    return found;
}

// Netpbm's PAM: a few lines of text, then the bytes of the pixels, row by row, RGB or RGBA.
bool next(std::istream& file, ov::Tensor& image) {
    size_t height = 0, width = 0, depth = 0;
    for (std::string line, key; std::getline(file, line) && line != "ENDHDR";) {
        std::istringstream words(line);
        words >> key;
        if (key == "HEIGHT") words >> height;
        if (key == "WIDTH") words >> width;
        if (key == "DEPTH") words >> depth;
    }
    image = ov::Tensor(ov::element::u8, {height, width, depth});
    return file.read(reinterpret_cast<char*>(image.data()), image.get_byte_size()).good();
}

int main(int, char** arguments) {
    ov::Core core;
    const auto model = core.read_model(arguments[1]);
    const auto names = labels(*model);
    auto network = core.compile_model(model, "CPU", ov::inference_num_threads(1), ov::hint::inference_precision(ov::element::f32));
    auto request = network.create_infer_request();
    std::ifstream file(arguments[2], std::ios::binary);
    for (ov::Tensor image; next(file, image);) {
        request.set_input_tensor(image);
        request.infer();
        const auto answer = request.get_output_tensor();
        const float* shares = answer.data<float>();
        const size_t best = std::max_element(shares, shares + answer.get_size()) - shares;
        std::cout << names[best] << ' ' << std::fixed << std::setprecision(4) << shares[best] << '\n';
    }
}
