// rtneural_run MODEL.json < INPUTS: prints RTNeural's outputs, a line for each step. The inputs are numbers separated
// by spaces, step after step. The state starts at zeros. rtneural_models.py builds this program.
#define RTNEURAL_USE_STL 1
#include <RTNeural/RTNeural.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <vector>

int main(int, char** arguments)
{
    std::ifstream file(arguments[1]);
    auto model = RTNeural::json_parser::parseJson<float>(file);
    if (!model)
        return 1;
    model->reset();
    std::vector<float> row(model->getInSize());
    for (;;)
    {
        for (auto& x : row)
            if (!(std::cin >> x))
                return 0;
        model->forward(row.data());
        for (int i = 0; i < model->getOutSize(); i++)
            std::printf("%s%.9g", i ? " " : "", model->getOutputs()[i]);
        std::printf("\n");
    }
}
